import { expect, test } from 'vitest';
import { renderPage } from './handout.ts';

const student = { name: 'anna', title: 'Anna <script>', namespace: 'linux-anna', host: 'a.example.com' };
const page = { className: 'linux', student, server: 'https://a.example.com', version: '1.37.2' };

test('a page names the student, the server and the end, and takes no markup from the roster', () => {
  const text = renderPage({ ...page, endsAt: '2026-12-01T18:00:00Z' });
  expect(text).toContain('Anna &#60;script&#62;');
  expect(text).not.toContain('<script>');
  expect(text).toContain('https://a.example.com');
  expect(text).toContain('2026-12-01T18:00:00Z');
  expect(renderPage(page)).not.toContain('ends at');
});
