import type { Reporter, SerializedError, TestModule, Vitest } from "vitest/node";

/** Prints `N passed, N failed, N skipped` as the very last line of a test run, for those who read only that. */
export class CountReporter implements Reporter {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  onInit(vitest: Vitest): void {
    if (vitest.config.watch) return;
    process.once("exit", (exitCode) => {
      // A run can also fail outside any test, in the global setup for example. That is never "0 failed".
      if (exitCode !== 0 && this.#failed === 0) this.#failed = 1;
      process.stdout.write(`${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
    const brokenFiles = modules.filter((module) => module.errors().length > 0);
    this.#passed = states.filter((state) => state === "passed").length;
    this.#skipped = states.filter((state) => state === "skipped").length;
    this.#failed = states.filter((state) => state === "failed").length + brokenFiles.length + unhandledErrors.length;
  }
}
