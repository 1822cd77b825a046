import { expect, test } from 'vitest';
import { Changes } from './changes.ts';

test('what was said in the look before is not said again; what was said before that is', () => {
  const said: string[] = [];
  const changes = new Changes((_, text) => said.push(text));
  const look = (...texts: string[]) => {
    changes.next();
    for (const text of texts) changes.say('info', text);
  };
  look('CHECK rights', 'Service "etcd" created', 'CHECK rights');
  look('CHECK rights');
  look('CHECK rights', 'Service "etcd" created');
  expect(said).toEqual(['CHECK rights', 'Service "etcd" created', 'Service "etcd" created']);
});

test('figures may differ', () => {
  const said: string[] = [];
  const changes = new Changes((_, text) => said.push(text));
  for (const took of [300, 310]) {
    changes.next();
    changes.say('info', `done after ${took} ms`, 'done');
  }
  expect(said).toEqual(['done after 300 ms']);
});
