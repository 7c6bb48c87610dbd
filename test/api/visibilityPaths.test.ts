import { testCells } from "./support/visibilityCells.ts";
import { constantVisibilities } from "./support/visibilityRooms.ts";

// [EV-9] Membership history × history visibility × path, in rooms that keep the visibility that they were made with.
testCells(constantVisibilities);
