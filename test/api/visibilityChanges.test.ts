import { testCells } from "./support/visibilityCells.ts";
import { changingVisibilities } from "./support/visibilityRooms.ts";

// [EV-9] Membership history × history visibility × path, in rooms whose visibility changes in the middle of their life.
testCells(changingVisibilities);
