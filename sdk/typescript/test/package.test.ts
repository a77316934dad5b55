/** The package as others get it: packed, installed into an empty project, imported, run, and type-checked there. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const noNpm = spawnSync("npm", ["--version"]).status === 0 ? false : "npm, which packs and installs, is not installed";

const CONSUMER = `
import { Process, Refused, call } from "@orrery/sdk";
import { TestHost } from "@orrery/sdk/testing";

class Counter extends Process<number> {
  static override className = "counter";
  override init() {
    this.state = 0;
  }
  @call add(count: number) {
    if (count < 0) throw new Refused("invalid_argument", "only up");
    return (this.state += count);
  }
  // @ts-expect-error: the codes are a closed list, also in the types that are installed
  @call odd() { throw new Refused("no such code"); }
}
const host = new TestHost(Counter);
await host.call("a", "add", 2);
const sum: number = await host.call<number>("a", "add", 3);
const code: string = await host.call("a", "add", -1).catch((problem: { code: string }) => problem.code);
console.log(sum, code);
`;

/** What a program printed; fails with all that it said where it did not end well. */
function run(cwd: string, program: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${program} ${words.join(" ")}: ${error ?? ""}\n${stdout}\n${stderr}`);
  return stdout;
}

const limits = { timeout: 120_000, skip: noNpm };

test("the packed package installs into an empty project, and works and type-checks there", limits, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "orrery-package-"));
  try {
    const [packed, project] = [join(folder, "packed"), join(folder, "project")];
    for (const each of [packed, project]) mkdirSync(each);
    const cache = ["--cache", join(folder, "cache")];
    const quiet = [...cache, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    // As it is built: the scripts would compile it anew, under the tests that run.
    const packing = ["pack", "--ignore-scripts", "--json", "--pack-destination", packed, ...quiet];
    const [{ filename, files }] = JSON.parse(run(PACKAGE, "npm", ...packing));
    const paths: string[] = files.map(({ path }: { path: string }) => path);
    const odd = paths.filter((path) => /conformance|test\.|(?<!\.d)\.ts$/.test(path));
    assert.deepEqual(odd, [], "what is of no use to others is not packed");
    t.diagnostic(`packed ${files.length} files as ${filename}`);

    const manifest = { name: "consumer", private: true, type: "module" };
    writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
    run(project, "npm", "install", "--offline", ...quiet, join(packed, filename));
    const installed = readFileSync(join(project, "node_modules/@orrery/sdk/package.json"), "utf8");
    const { name, version, exports } = JSON.parse(installed);
    const entries = Object.keys(exports).map((entry) => name + entry.slice(1));
    assert.ok(entries.length >= 2 && !entries.some((entry) => entry.includes("*")), `entries by name: ${entries}`);
    // The compiler finds types beside the code where `types` names no file; other tools do not.
    const targets = Object.values<Record<string, string>>(exports).flatMap((conditions) => Object.values(conditions));
    const missing = targets.filter((target) => !paths.includes(target.slice(2)));
    assert.deepEqual(missing, [], "all that exports names is packed");
    for (const entry of entries) {
      const counting = `console.log(Object.keys(await import("${entry}")).length)`;
      const count = run(project, process.execPath, "--input-type=module", "-e", counting);
      assert.ok(Number(count) > 0, `${entry} exports nothing`);
    }
    t.diagnostic(`installed ${name} ${version}, and imported ${entries.join(", ")}`);

    const imports = entries.map((entry, n) => `import * as entry${n} from "${entry}";\nvoid entry${n};\n`).join("");
    writeFileSync(join(project, "consumer.ts"), imports + CONSUMER);
    const options = ["--target", "es2022", "--lib", "es2022,esnext.disposable", "--module", "nodenext", "--strict"];
    const types = ["--types", "node", "--typeRoots", join(PACKAGE, "node_modules/@types")];
    const compiler = join(PACKAGE, "node_modules/typescript/bin/tsc");
    run(project, process.execPath, compiler, ...options, ...types, "consumer.ts");
    assert.equal(run(project, process.execPath, "consumer.js"), "5 invalid_argument\n");
    t.diagnostic("type-checked, compiled and ran a program that uses it, with the compiler of the build");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
