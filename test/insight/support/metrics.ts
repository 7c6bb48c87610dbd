/** A line of Prometheus's text form. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** What a text of metrics holds; names of histograms have their parts' endings. */
export function samplesOf(text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const read = /^([a-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (read === null) {
      if (line !== "" && !line.startsWith("#")) throw new Error(`no sample: ${line}`);
      return [];
    }
    const [, name, labels = "", value] = read;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, is]) => [label!, is!]);
    return [{ name: name!, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) }];
  });
}

/** The value of the sample with these labels among others; the sum where there are several, 0 where there is none. */
export function valueOf(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number {
  return samples
    .filter((sample) => sample.name === name && Object.entries(labels).every(([key, is]) => sample.labels[key] === is))
    .reduce((sum, { value }) => sum + value, 0);
}

/** Asks a server for its metrics. */
export async function scrape(address: string): Promise<Sample[]> {
  const response = await fetch(`${address}/metrics`);
  if (response.status !== 200) throw new Error(`/metrics: ${response.status} ${await response.text()}`);
  return samplesOf(await response.text());
}
