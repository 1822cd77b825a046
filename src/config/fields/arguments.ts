import * as z from 'zod';
import { argument } from '../values/programs.ts';
import { flag } from './flag.ts';

const args = (component: string, name: string) =>
  z
    .array(argument)
    .default([])
    .meta(
      flag({
        group: 'Arguments of components',
        flag: `${name}-arg`,
        arg: 'NAME=VALUE',
        help: `one more flag for ${component}`,
        list: true,
      }),
    );

/** Further arguments of the components. */
export const argumentFields = {
  apiServerArgs: args('kube-apiserver', 'api-server'),
  controllerManagerArgs: args('kube-controller-manager', 'controller-manager'),
  schedulerArgs: args('kube-scheduler', 'scheduler'),
  etcdArgs: args('etcd', 'etcd'),
};
