import { expect, test } from 'vitest';
import { parseLifetime } from './lifetime.ts';

const now = new Date('2026-01-01T12:00:00Z');

test('a length of time counts from now, and a moment has a time zone', () => {
  expect(parseLifetime({}, now)).toBeUndefined();
  expect(parseLifetime({ ttl: 'none' }, now)).toBe('endless');
  expect(parseLifetime({ ttl: '8h' }, now)).toEqual({ at: new Date('2026-01-01T20:00:00Z') });
  expect(parseLifetime({ expiresAt: '2026-01-02T01:00+01:00' }, now)).toEqual({ at: new Date('2026-01-02T00:00:00Z') });
});

test.each([
  { ttl: '8 hours' },
  { ttl: '0' },
  { ttl: '1h', expiresAt: '2026-01-02T00:00:00Z' },
  { expiresAt: '2026-01-02' },
  { expiresAt: '2026-01-02T00:00:00' },
  { expiresAt: '2026-13-02T00:00:00Z' },
  { expiresAt: '2026-01-01T11:59:59Z' },
])('%j is refused', (options) => {
  expect(() => parseLifetime(options, now)).toThrow(expect.objectContaining({ anchor: 'bad-values', kind: 'usage' }));
});
