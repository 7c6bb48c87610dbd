import type { Tokens } from "../../model/tokens.ts";
import type { Connection } from "../../store/database.ts";
import type { Head } from "../sync/head.ts";
import type { KnownViews } from "./views.ts";

/** What every reading function works with. Nothing beyond the head is shown, so that pages and streams fit together. */
export interface Reading {
  connection: Connection;
  tokens: Tokens;
  head: Pick<Head, "position" | "reached" | "after">;
  views: KnownViews;
}
