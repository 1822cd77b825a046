import { text } from './svg.ts';

const width = 900;
const height = 360;
const margin = { left: 70, right: 30, top: 80, bottom: 50 };
const colours = ['#3b6ea5', '#b5793b', '#5f9e6e'];

export interface Curve {
  name: string;
  points: { x: number; y: number }[];
}

/** Curves over a common axis, both from zero. An SVG document. Pure. */
export function curves(all: Curve[], title: string, axes: { x: string; y: string }): string {
  const points = all.flatMap((curve) => curve.points);
  const ticks = {
    x: roundSteps(Math.max(1, ...points.map((point) => point.x))),
    y: roundSteps(Math.max(1e-9, ...points.map((point) => point.y))),
  };
  const x = (value: number) => round(margin.left + (value / ticks.x.at(-1)!) * (width - margin.left - margin.right));
  const y = (value: number) =>
    round(height - margin.bottom - (value / ticks.y.at(-1)!) * (height - margin.top - margin.bottom));
  const grid = [
    ...ticks.y.flatMap((tick) => [
      `<line x1="${margin.left}" y1="${y(tick)}" x2="${width - margin.right}" y2="${y(tick)}" stroke="#ddd"/>`,
      text(margin.left - 8, y(tick) + 4, String(tick), 'end'),
    ]),
    ...ticks.x.map((tick) => text(x(tick), height - margin.bottom + 18, String(tick), 'middle')),
  ];
  const lines = all.map((curve, index) => {
    const path = curve.points.map((point) => `${x(point.x)},${y(point.y)}`).join(' ');
    const colour = colours[index % colours.length]!;
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...curve.points.map((point) => `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="2.5" fill="${colour}"/>`),
      text(margin.left + 230 * index, 44, curve.name, 'start', colour),
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${text(margin.left, 22, title, 'start', '#000', 15)}
${text(width / 2, height - 10, axes.x, 'middle')}
${text(margin.left - 8, margin.top - 12, axes.y, 'end')}
${[...grid, ...lines].join('\n')}
</svg>
`;
}

/** From zero to at least `largest`, four to eight steps of 1, 2 or 5 times a power of ten. Pure. */
export function roundSteps(largest: number): number[] {
  const power = 10 ** Math.floor(Math.log10(largest));
  const step = [0.2, 0.5, 1, 2].map((part) => part * power).find((each) => largest / each <= 7)!;
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
