import { expect, test } from 'vitest';
import { proxiesOf, proxyFor } from './proxy.ts';

const through = (server: string, env: Record<string, string>) => proxyFor(new URL(server), proxiesOf(env))?.href;
const proxy = 'http://proxy:3128/';

test('each scheme has its variable; upper case first, and an empty one is none', () => {
  expect(through('https://a', { HTTPS_PROXY: proxy })).toBe(proxy);
  expect(through('https://a', { HTTP_PROXY: proxy })).toBeUndefined();
  expect(through('http://a', { HTTP_PROXY: proxy })).toBe(proxy);
  expect(through('https://a', { HTTPS_PROXY: '', https_proxy: proxy })).toBe(proxy);
  expect(through('https://a', { HTTPS_PROXY: proxy, https_proxy: 'http://other' })).toBe(proxy);
  expect(through('https://a', { ALL_PROXY: proxy, all_proxy: proxy })).toBeUndefined();
});

test('a proxy without a scheme is http; what is no URL is none', () => {
  expect(through('https://a', { HTTPS_PROXY: 'proxy:3128' })).toBe(proxy);
  expect(through('https://a', { HTTPS_PROXY: 'http://[' })).toBeUndefined();
});

test.each([['https://localhost:6443'], ['https://127.0.0.1:6443'], ['https://127.8.8.8'], ['https://[::1]:6443']])(
  '%s is on this machine, and not proxied',
  (server) => {
    expect(through(server, { HTTPS_PROXY: proxy })).toBeUndefined();
    expect(proxyFor(new URL(server), { url: proxy, https: 'http://other' })?.href).toBe(proxy);
  },
);

test.each([
  ['https://10.1.2.3', '10.0.0.0/8', true],
  ['https://11.1.2.3', '10.0.0.0/8', false],
  ['https://10.1.2.3', '10.1.2.3', true],
  ['https://10.1.2.3:6443', '10.1.2.3:6443', true],
  ['https://10.1.2.3', '10.1.2.3:6443', false],
  ['https://10.1.2.3', '10.1.2.3:443', true],
  ['https://10.1.2.3', '.2.3', false],
  ['https://[fd00::1]', 'fd00::/8', true],
  ['https://[fd00::1]', 'fd00::1', true],
  ['https://[fd00::1]:6443', '[fd00::1]:6443', true],
  ['https://a.example.com', 'example.com', true],
  ['https://example.com', 'example.com', true],
  ['https://badexample.com', 'example.com', false],
  ['https://a.example.com', '.example.com', true],
  ['https://example.com', '.example.com', false],
  ['https://a.example.com', '*.example.com', true],
  ['https://a.example.com', ' x.y , EXAMPLE.com ', true],
  ['https://a.example.com', 'example.com:8443', false],
  ['https://a.example.com', '*', true],
  ['https://a.example.com', '', false],
  ['https://a.example.com', ',:443,', false],
])('%s with NO_PROXY "%s"', (server, except, isDirect) => {
  expect(through(server, { HTTPS_PROXY: proxy, NO_PROXY: except }) === undefined).toBe(isDirect);
});
