/** Waits until a condition holds, else fails saying what there was instead. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  otherwise: () => string = () => "the condition never held",
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`timed out: ${otherwise()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
