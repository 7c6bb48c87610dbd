import {
  Kind,
  type DefinitionNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from "graphql";
import { HearthError } from "../model/errors.ts";

/**
 * What one document may hold. All is counted as if fragments were written out where they are spread: of few fragments that
 * spread each other, there are soon more fields than a computer can count.
 */
const limits = {
  /** Fields within fields. */
  depth: 20,
  /** Fields, of each operation. */
  fields: 400,
  /** Fields that go by another name than their own, of each operation. */
  aliases: 100,
  /** Directives at one place. */
  directives: 10,
  /** Characters of an alias, which every item of a list repeats in the answer. */
  name: 200,
  /** Values of the schema that are asked for, about: tools ask for it whole, which is less than half of that. */
  introspection: 1_200_000,
};
type Limit = keyof typeof limits;

const words: Record<Limit, string> = {
  depth: "The document's depth is",
  fields: "The document's fields, those of spread fragments included, are",
  aliases: "The document's aliases, those of spread fragments included, are",
  directives: "The document's directives at one place are",
  name: "The characters of an alias are",
  introspection: "What the document asks of the schema itself is",
};

/** How many items the lists of the schema's own description have, more or less. */
const itemsOf: Readonly<Record<string, number>> = {
  types: 250,
  fields: 10,
  inputFields: 8,
  enumValues: 8,
  directives: 6,
  possibleTypes: 5,
  args: 3,
  interfaces: 1,
};

type Counts = Record<Limit, number>;
const nothing: Counts = { depth: 0, fields: 0, aliases: 0, directives: 0, name: 0, introspection: 0 };

/** So many values of the schema are worth a request: they take as long as what others ask for. */
const introspectionOfRequest = 50_000;

/** What is to be known of a document before anything is done with it. */
export interface Weighed {
  /** Which limit it is over, as the error that says so; null for none. */
  problem: HearthError | null;
  /** Requests that it is worth for what it asks of the schema itself. */
  worth: number;
}

/**
 * Weighs a document. It takes as long as the document is, whatever its
 * fragments come to, and is asked before anything else looks at what was parsed. Whether the document makes sense is for
 * validation to say: a fragment that spreads itself counts once.
 */
export function weigh(document: DocumentNode): Weighed {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const known = { inside: new Map<string, Counts>(), outside: new Map<string, Counts>() };

  function ofFragment(name: string, inside: boolean): Counts {
    const counted = inside ? known.inside : known.outside;
    const before = counted.get(name);
    if (before !== undefined) return before;
    counted.set(name, nothing);
    const fragment = fragments.get(name);
    const counts = fragment === undefined ? nothing : ofDefinition(fragment, inside);
    counted.set(name, counts);
    return counts;
  }

  function ofDefinition(definition: DefinitionNode, inside: boolean): Counts {
    if (definition.kind !== Kind.FRAGMENT_DEFINITION && definition.kind !== Kind.OPERATION_DEFINITION) return nothing;
    const variables = definition.variableDefinitions?.map(({ directives = [] }) => directives.length) ?? [];
    const directives = Math.max(definition.directives?.length ?? 0, ...variables);
    return together([{ ...nothing, directives }, ofSelections(definition.selectionSet, inside)]);
  }

  function ofSelections({ selections }: SelectionSetNode, inside: boolean): Counts {
    return together(selections.map((selection) => ofSelection(selection, inside)));
  }

  /** `inside`: below a field that asks for the schema itself. */
  function ofSelection(selection: SelectionNode, inside: boolean): Counts {
    const own = { ...nothing, directives: selection.directives?.length ?? 0 };
    if (selection.kind === Kind.FRAGMENT_SPREAD) return together([own, ofFragment(selection.name.value, inside)]);
    if (selection.kind === Kind.INLINE_FRAGMENT) return together([own, ofSelections(selection.selectionSet, inside)]);
    const { name, alias, selectionSet } = selection;
    const describes = inside || name.value === "__schema" || name.value === "__type";
    const below = selectionSet === undefined ? nothing : ofSelections(selectionSet, describes);
    const items = inside ? (itemsOf[name.value] ?? 1) : 1;
    return {
      depth: below.depth + 1,
      fields: below.fields + 1,
      aliases: below.aliases + (alias === undefined ? 0 : 1),
      directives: Math.max(own.directives, below.directives),
      name: Math.max(alias?.value.length ?? 0, below.name),
      introspection: describes ? items * (below.introspection + 1) : below.introspection,
    };
  }

  let introspection = 0;
  for (const definition of document.definitions) {
    const counts = ofDefinition(definition, false);
    const over = (Object.keys(limits) as Limit[]).find((limit) => counts[limit] > limits[limit]);
    if (over !== undefined) {
      const problem = new HearthError("TOO_COMPLEX", `${words[over]} over the limit of ${limits[over]}.`);
      return { problem, worth: 0 };
    }
    introspection = Math.max(introspection, counts.introspection);
  }
  return { problem: null, worth: Math.floor(introspection / introspectionOfRequest) };
}

/** What several selections come to beside each other. */
function together(all: readonly Counts[]): Counts {
  const sum = { ...nothing };
  for (const counts of all) {
    sum.depth = Math.max(sum.depth, counts.depth);
    sum.directives = Math.max(sum.directives, counts.directives);
    sum.name = Math.max(sum.name, counts.name);
    sum.fields += counts.fields;
    sum.aliases += counts.aliases;
    sum.introspection += counts.introspection;
  }
  return sum;
}
