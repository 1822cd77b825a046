import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { newest } from '../config/versions.ts';
import { terminalReporter } from '../ui/terminal.ts';
import { ensureBinaries } from './artifacts/ensure.ts';
import { run } from './artifacts/programs.ts';

// What helm makes of the values of Cilium's chart, at release time (build.mjs --charts): charts.js VALUES FILE.

const [values, file] = process.argv.slice(2) as [string, string];
const { helm, 'cilium-chart': chart } = await ensureBinaries(['helm', 'cilium-chart'], {}, terminalReporter());
const place = ['--namespace', 'kube-system', '--kube-version', newest.patch];
const { code, stdout, errors } = await run(helm, ['template', 'cilium', chart, '--values', values, ...place]);
if (code !== 0) throw new Error(`helm made nothing of ${values}:\n${errors.join('\n')}`);
await mkdir(path.dirname(file), { recursive: true });
await writeFile(`${file}.new`, stdout);
await rename(`${file}.new`, file);
