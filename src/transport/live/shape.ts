import {
  getOperationAST,
  getVariableValues,
  GraphQLError,
  isInterfaceType,
  isObjectType,
  Kind,
  print,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type ExecutionArgs,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from "graphql";
import { LRUCache } from "lru-cache";
import type { Filter } from "../../model/filter.ts";
import { fieldsOfDevice, shareableFields } from "../../schema/shareable.ts";
import { documentOf, selectedFields, variablesOf, withoutFragments, type SelectedField } from "./selection.ts";

/** What is rendered once for each event and all who selected the same of it, however their documents are written. */
export interface SharedSelection {
  /** Selects one list of the chunk. */
  document: DocumentNode;
  variables: Record<string, unknown>;
  /** Shapes the events' JSON; null where no filter has a say. */
  filter: Filter | null;
  /** The key of that list in the document's answer. */
  key: string;
  /** Shows the device that acted more than others. */
  ofDevice: boolean;
}

/** A field of a chunk, and how it is rendered. */
export type ChunkField = { key: string } & (
  | { from: "token" }
  | { from: "limited" }
  | { from: "typename" }
  | { from: "events"; selection: SharedSelection }
  /** Lists that are nearly always empty, and need the viewer when they aren't. */
  | { from: "rarely"; list: "invites" | "left" }
  | { from: "viewer" }
);

/** How the chunks of an event stream are rendered. */
export interface ChunkShape {
  rootKey: string;
  fields: ChunkField[];
  /** The fields that need the viewer, at times or always, as a document of their own; null without any. */
  viewers: { document: DocumentNode; variables: Record<string, unknown> } | null;
}

/**
 * Gives the shape of the chunks of a subscription to the event stream, remembering those of operations that are in use;
 * null for what is none.
 */
export type ShapeReader = (operation: ExecutionArgs, filter: Filter) => ChunkShape | null;

/** An operation, and the shapes that it has with the variables and filters that were met. */
interface KnownOperation {
  operation: OperationDefinitionNode;
  /** What the selection depends on, which the root field's arguments are no part of. */
  variables: string[];
  shapes: LRUCache<string, ChunkShape>;
}

export function shapeReader(schema: GraphQLSchema): ShapeReader {
  const known = new WeakMap<DocumentNode, Map<string, KnownOperation | null>>();
  const selections = new LRUCache<string, SharedSelection>({ max: 1000 });

  /** Null for an operation that is too large to be looked at. */
  function look({ document, operationName }: ExecutionArgs): KnownOperation | null {
    const operations = known.get(document) ?? new Map<string, KnownOperation | null>();
    known.set(document, operations);
    const found = operations.get(operationName ?? "");
    if (found !== undefined) return found;
    const operation = withoutFragments(document, getOperationAST(document, operationName)!);
    if (operation === null) {
      operations.set(operationName ?? "", null);
      return null;
    }
    const used = variablesOf({
      ...operation.selectionSet,
      selections: operation.selectionSet.selections.map(withoutArguments),
    });
    const looked = { operation, variables: [...used], shapes: new LRUCache<string, ChunkShape>({ max: 100 }) };
    operations.set(operationName ?? "", looked);
    return looked;
  }

  function rootOf({ operation }: KnownOperation, coerced: Record<string, unknown> | undefined): SelectedField | null {
    const [root, ...others] = (coerced && fieldsOf(operation.selectionSet, coerced)) ?? [];
    return root?.field.name.value === "eventStream" && others.length === 0 ? root : null;
  }

  function coercedVariables({ operation }: KnownOperation, { variableValues }: ExecutionArgs) {
    return getVariableValues(schema, operation.variableDefinitions ?? [], variableValues ?? {}).coerced;
  }

  function shared(selection: SharedSelection): SharedSelection {
    const { document, variables, filter } = selection;
    const name = JSON.stringify([print(document), variables, filter?.definition]);
    const same = selections.get(name);
    if (same === undefined) selections.set(name, selection);
    return same ?? selection;
  }

  function read(known: KnownOperation, args: ExecutionArgs, filter: Filter): ChunkShape | null {
    const { operation } = known;
    const coerced = coercedVariables(known, args);
    const root = rootOf(known, coerced);
    if (coerced === undefined || root?.field.selectionSet === undefined) return null;
    const variables = Object.fromEntries(
      Object.entries(args.variableValues ?? {}).filter(([name]) => known.variables.includes(name)),
    );
    const selected = fieldsOf(root.field.selectionSet, coerced);
    if (selected === null) return null;
    const fields = selected.map((each): ChunkField => {
      const { key } = each;
      const name = each.field.name.value;
      if (name === "stream") return { key, from: "token" };
      if (name === "limited") return { key, from: "limited" };
      if (name === "__typename") return { key, from: "typename" };
      if (name === "invites" || name === "left") return { key, from: "rarely", list: name };
      const selection = sharedSelection(schema, operation, root, each, variables);
      if (selection === null) return { key, from: "viewer" };
      return { key, from: "events", selection: shared({ ...selection, filter: name === "json" ? filter : null }) };
    });
    const own = selected.filter((_, index) => ["viewer", "rarely"].includes(fields[index]!.from));
    const document = documentOf(
      operation,
      root,
      own.map(({ field }) => field),
    );
    return { rootKey: root.key, fields, viewers: own.length === 0 ? null : { document, variables } };
  }

  return (args, filter) => {
    const known = look(args);
    if (known === null) return null;
    const given = known.variables.map((variable) => [variable, args.variableValues?.[variable]]);
    // By name: one that isn't given has its default, unlike one that is null.
    const key = JSON.stringify([Object.fromEntries(given), filter.definition]);
    const found = known.shapes.get(key) ?? read(known, args, filter);
    if (found !== null) known.shapes.set(key, found);
    return found;
  };
}

/** Null for a condition that is null: whoever executes the operation tells what is wrong with it. */
function fieldsOf(selectionSet: SelectionSetNode, variables: Record<string, unknown>): SelectedField[] | null {
  try {
    return selectedFields(selectionSet, variables);
  } catch (error) {
    if (error instanceof GraphQLError) return null;
    throw error;
  }
}

function withoutArguments(selection: SelectionNode): SelectionNode {
  return selection.kind === Kind.FIELD ? { ...selection, arguments: [] } : selection;
}

/** The selection of a list of events, if all of its fields may be rendered for many at once. */
function sharedSelection(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  root: SelectedField,
  { field }: SelectedField,
  variables: Record<string, unknown>,
): SharedSelection | null {
  // Under its own name, so that another's name for it makes no difference.
  const document = documentOf(operation, root, [{ ...field, alias: undefined }]);
  const types = new TypeInfo(schema);
  let shareable = true;
  let ofDevice = false;
  visit(
    document,
    visitWithTypeInfo(types, {
      Field({ name }) {
        const type = types.getParentType();
        if (name.value === "__typename" || type === schema.getSubscriptionType()) return;
        const owners = isObjectType(type) || isInterfaceType(type) ? [type, ...type.getInterfaces()] : [];
        const owner = owners.find((each) => shareableFields[each.name]?.includes(name.value));
        if (owner === undefined) shareable = false;
        else if (fieldsOfDevice.has(`${owner.name}.${name.value}`)) ofDevice = true;
      },
    }),
  );
  const used = variablesOf(document);
  const given = Object.fromEntries(Object.entries(variables).filter(([name]) => used.has(name)));
  return shareable ? { document, variables: given, filter: null, key: field.name.value, ofDevice } : null;
}
