import { rounded, type Row, type Table } from "./report.ts";
import { met } from "./rounds.ts";

/** A figure whose ratio between servers is of interest. */
export interface Compared {
  case: string;
  figure: string;
  better: "higher" | "lower";
  /** How many times better than the best of the others the first server is meant to be. */
  goal?: number;
  /** The case that the others' figure is taken from, where they can't do this one. */
  against?: string;
}

/** The table of figures side by side, if there are several servers. */
export function comparison(rows: readonly Row[], comparisons: readonly Compared[]): Table[] {
  const compared = sideBySide(rows, comparisons);
  return compared.length === 0 ? [] : [{ title: "Side by side", rows: compared }];
}

/** The figures of the first server and of the others, and how many times better the first one's are. */
function sideBySide(rows: readonly Row[], comparisons: readonly Compared[]): Row[] {
  const [first, ...others] = new Set(rows.map((row) => String(row.server)));
  if (others.length === 0) return [];
  return comparisons.flatMap(({ case: name, figure, better, goal, against = name }) => {
    const figureOf = (server: string, from: string): number | undefined =>
      rows.find((row) => row.server === server && row.case === from)?.[figure] as number | undefined;
    const own = figureOf(first!, name);
    if (own === undefined) return [];
    const row: Row = { case: name, figure, [first!]: own };
    let least = Infinity;
    for (const other of others) {
      const theirs = figureOf(other, against);
      if (theirs === undefined) continue;
      const times = better === "higher" ? own / theirs : theirs / own;
      least = Math.min(least, times);
      row[other] = theirs;
      row[`${other}: times`] = rounded(times);
    }
    if (goal === undefined || least === Infinity) return [row];
    return [{ ...row, "goal times": goal, met: met(least >= goal) }];
  });
}
