/** Words in a picture, escaped. Pure. */
export function text(x: number, y: number, words: string, anchor: string, colour = '#222', size = 13): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${colour}" font-size="${size}">${escaped}</text>`;
}
