import { patchPowerLevels } from "../domain/actions/patchPowerLevels.ts";
import { builder } from "../schema/builder.ts";
import { actionField, statePayload } from "./actions.ts";

const PatchPowerLevelsInput = builder.inputType("PatchPowerLevelsInput", {
  fields: (t) => ({
    roomId: t.id({ required: true }),
    path: t.stringList({ required: true }),
    value: t.int(),
    suppressOnStream: t.boolean({ required: true, defaultValue: false }),
    actionId: t.string(),
  }),
});

actionField(
  "patchPowerLevels",
  statePayload("PatchPowerLevelsPayload"),
  PatchPowerLevelsInput,
  patchPowerLevels,
  'Change one key of the power levels, e.g. ["kick"] or ["users", "@bob:example.org"]; null removes it. [ACT-10]',
);
