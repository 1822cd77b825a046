import { text } from './svg.ts';

const width = 900;
const height = 360;
const margin = { left: 70, right: 30, top: 50, bottom: 50 };
const colours = ['#3b6ea5', '#b5793b', '#5f9e6e'];

export interface Curve {
  name: string;
  points: { x: number; y: number }[];
}

/** Curves over a common axis, both from zero. An SVG document. Pure. */
export function curves(all: Curve[], title: string, axes: { x: string; y: string }): string {
  const points = all.flatMap((curve) => curve.points);
  const largest = { x: Math.max(1, ...points.map(({ x }) => x)), y: Math.max(1e-9, ...points.map(({ y }) => y)) * 1.1 };
  const x = (value: number) => round(margin.left + (value / largest.x) * (width - margin.left - margin.right));
  const y = (value: number) =>
    round(height - margin.bottom - (value / largest.y) * (height - margin.top - margin.bottom));
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
    `<line x1="${margin.left}" y1="${y(part * largest.y)}" x2="${width - margin.right}" y2="${y(part * largest.y)}" stroke="#ddd"/>`,
    text(margin.left - 8, y(part * largest.y) + 4, (part * largest.y).toFixed(1), 'end'),
    text(x(part * largest.x), height - margin.bottom + 18, (part * largest.x).toFixed(0), 'middle'),
  ]);
  const lines = all.map((curve, index) => {
    const path = curve.points.map((point) => `${x(point.x)},${y(point.y)}`).join(' ');
    const colour = colours[index % colours.length]!;
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...curve.points.map((point) => `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="2.5" fill="${colour}"/>`),
      text(margin.left + 10, margin.top + 16 * index + 6, curve.name, 'start', colour),
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${text(margin.left, 22, title, 'start', '#000', 15)}
${text(width / 2, height - 10, axes.x, 'middle')}
${text(margin.left - 60, margin.top - 10, axes.y, 'start')}
${[...grid, ...lines].join('\n')}
</svg>
`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
