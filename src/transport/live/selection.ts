import {
  getDirectiveValues,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  Kind,
  visit,
  type ASTNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";

/** A response key, with all that was selected under it. */
export interface SelectedField {
  key: string;
  field: FieldNode;
}

/** More than people write: each fragment may spread the next one twice, and that one the next. */
const maxSpreads = 200;

/**
 * The operation with its fragments written out where they are spread; null where that would be too much. The document
 * must be valid.
 */
export function withoutFragments(
  document: DocumentNode,
  operation: OperationDefinitionNode,
): OperationDefinitionNode | null {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  let spreads = 0;
  const inlined = <Node extends ASTNode>(node: Node): Node =>
    visit(node, {
      FragmentSpread({ name, directives = [] }) {
        if (++spreads > maxSpreads) return null;
        const { typeCondition, selectionSet } = fragments.get(name.value)!;
        return { kind: Kind.INLINE_FRAGMENT, typeCondition, directives, selectionSet: inlined(selectionSet) };
      },
    }) as Node;
  const whole = inlined(operation);
  return spreads > maxSpreads ? null : whole;
}

/**
 * The fields of a selection on an object type, one for each response key in the order of the answer, as variables and
 * directives leave them. Fragments must be written out. Throws a `GraphQLError` for a condition that is null.
 */
export function selectedFields(selectionSet: SelectionSetNode, variables: Record<string, unknown>): SelectedField[] {
  const fields = new Map<string, FieldNode>();
  const collect = ({ selections }: SelectionSetNode): void => {
    for (const selection of selections) {
      if (getDirectiveValues(GraphQLSkipDirective, selection, variables)?.["if"] === true) continue;
      if (getDirectiveValues(GraphQLIncludeDirective, selection, variables)?.["if"] === false) continue;
      if (selection.kind === Kind.FIELD) {
        const key = selection.alias?.value ?? selection.name.value;
        fields.set(key, merged(fields.get(key), selection));
      } else if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
    }
  };
  collect(selectionSet);
  return [...fields].map(([key, field]) => ({ key, field }));
}

/** The same field, selected twice. */
function merged(first: FieldNode | undefined, second: FieldNode): FieldNode {
  if (first?.selectionSet === undefined || second.selectionSet === undefined) return first ?? second;
  const selections = [...first.selectionSet.selections, ...second.selectionSet.selections];
  return { ...first, selectionSet: { kind: Kind.SELECTION_SET, selections } };
}

/** The names of the variables that a node uses. */
export function variablesOf(node: ASTNode): Set<string> {
  const names = new Set<string>();
  visit(node, { Variable: ({ name }) => void names.add(name.value) });
  return names;
}

/** A document of one operation that selects a single root field without its arguments, and of that only some fields. */
export function documentOf(
  operation: OperationDefinitionNode,
  root: SelectedField,
  fields: readonly FieldNode[],
): DocumentNode {
  const selectionSet: SelectionSetNode = { kind: Kind.SELECTION_SET, selections: fields };
  const field: FieldNode = { kind: Kind.FIELD, name: root.field.name, selectionSet };
  const used = variablesOf(field);
  return {
    kind: Kind.DOCUMENT,
    definitions: [
      {
        kind: Kind.OPERATION_DEFINITION,
        operation: operation.operation,
        variableDefinitions: (operation.variableDefinitions ?? []).filter(({ variable }) =>
          used.has(variable.name.value),
        ),
        selectionSet: { kind: Kind.SELECTION_SET, selections: [field] },
      },
    ],
  };
}
