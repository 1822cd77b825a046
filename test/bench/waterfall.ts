import type { Phase } from './phases.ts';
import { text } from './svg.ts';

const width = 1000;
const left = 250;
const right = 90;
const rowHeight = 24;
const top = 56;
const colours = ['#3b6ea5', '#5f9e6e', '#b5793b', '#8a63a8'];

/** The phases as bars over a common axis of seconds, with the floor as a line. An SVG document. Pure. */
export function waterfall(phases: Phase[], floorMs: number, title: string): string {
  const end = Math.max(floorMs, ...phases.map(({ to }) => to));
  const x = (milliseconds: number) => Math.round((left + (milliseconds / end) * (width - left - right)) * 10) / 10;
  const bottom = top + phases.length * rowHeight;
  const rows = phases.map(({ name, from, to }, row) => {
    const y = top + row * rowHeight;
    const colour = colours[groupOf(name)]!;
    return [
      text(left - 10, y + 15, name, 'end'),
      `<rect x="${x(from)}" y="${y + 3}" width="${Math.max(1.5, x(to) - x(from)).toFixed(1)}" height="${rowHeight - 8}" rx="2" fill="${colour}"/>`,
      text(x(to) + 6, y + 15, `${Math.round(to - from)} ms`, 'start', '#555'),
    ].join('\n');
  });
  const seconds = Array.from({ length: Math.floor(end / 1000) + 1 }, (_, second) => second);
  const grid = seconds.map(
    (second) =>
      `<line x1="${x(second * 1000)}" y1="${top - 6}" x2="${x(second * 1000)}" y2="${bottom}" stroke="#ddd"/>\n${text(x(second * 1000), bottom + 16, `${second} s`, 'middle', '#555')}`,
  );
  const floor = `<line x1="${x(floorMs)}" y1="${top - 6}" x2="${x(floorMs)}" y2="${bottom}" stroke="#c0392b" stroke-width="1.5" stroke-dasharray="5 4"/>
${text(x(floorMs), top - 12, `floor ${(floorMs / 1000).toFixed(2)} s`, 'middle', '#c0392b')}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom + 30}" viewBox="0 0 ${width} ${bottom + 30}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
${text(10, 22, title, 'start', '#000', 16)}
${[...grid, floor, ...rows].join('\n')}
</svg>
`;
}

/** Colours: k8sk8s's own work, etcd, the API server, and what follows AVAILABLE. */
function groupOf(name: string): number {
  if (name.startsWith('etcd')) return 1;
  if (name.startsWith('API server')) return 2;
  return /^(child|kubeconfigs|all|first worker)/.test(name) ? 3 : 0;
}
