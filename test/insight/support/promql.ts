import { parser } from "@prometheus-io/lezer-promql";
import type { SyntaxNode } from "@lezer/common";

/** What an expression takes of one metric. */
export interface Selected {
  name: string;
  /** Labels that are compared with something, and what with where it is one value. */
  matchers: { label: string; value: string | null }[];
}

/** Labels that something is grouped by, and the metrics in it. */
export interface Grouped {
  labels: string[];
  of: string[];
}

/** What an expression names. Throws for what is no PromQL. */
export function namesIn(expression: string): { selected: Selected[]; grouped: Grouped[] } {
  // Grafana fills these in.
  const text = expression.replaceAll("$__rate_interval", "5m");
  const selected: Selected[] = [];
  const grouped: Grouped[] = [];
  const textOf = ({ from, to }: SyntaxNode): string => text.slice(from, to);
  const below = (node: SyntaxNode, type: string): SyntaxNode[] => {
    const found: SyntaxNode[] = [];
    node.cursor().iterate((each) => {
      if (each.name === type) found.push(each.node);
    });
    return found;
  };
  const metricsIn = (node: SyntaxNode): string[] => below(node, "VectorSelector").map((each) => nameOf(each));
  const nameOf = (selector: SyntaxNode): string => {
    const [identifier] = below(selector, "Identifier");
    if (identifier === undefined) throw new Error(`a selector without a name in ${expression}`);
    return textOf(identifier);
  };
  parser
    .parse(text)
    .cursor()
    .iterate((node) => {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${expression}`);
      if (node.name === "VectorSelector") {
        const matchers = below(node.node, "UnquotedLabelMatcher").map((matcher) => {
          const [label] = below(matcher, "LabelName");
          const [, operator, value] = /(!=|=~|!~|=)\s*"(.*)"$/.exec(textOf(matcher)) ?? [];
          return { label: textOf(label!), value: operator === "=" ? value! : null };
        });
        selected.push({ name: nameOf(node.node), matchers });
      }
      if (node.name === "AggregateExpr") {
        const labels = below(node.node, "GroupingLabels")
          .filter(({ parent }) => parent?.parent?.from === node.from)
          .flatMap((list) => below(list, "LabelName").map(textOf));
        grouped.push({ labels, of: metricsIn(node.node) });
      }
    });
  return { selected, grouped };
}
