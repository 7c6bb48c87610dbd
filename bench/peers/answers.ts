/** What a pattern's first group matches in an answer; throws where there is no match. */
export function found(text: string, pattern: RegExp): string {
  const match = pattern.exec(text);
  if (match === null) throw new Error(`no ${pattern} in ${text.slice(0, 300)}`);
  return match[1]!;
}

export function occurrences(text: string, part: string): number {
  return text.split(part).length - 1;
}
