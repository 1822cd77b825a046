/** The command line option of a field of the spec. */
export interface FlagMeta {
  /** Without the dashes; an option that begins with `no-` sets the field to false. */
  flag: string;
  short?: string;
  /** Placeholder of the value; absent for a flag without a value. */
  arg?: string;
  help: string;
  /** The heading in the help. */
  group:
    | 'Address'
    | 'Hosted cluster'
    | 'Identity'
    | 'Pods of the plane'
    | 'Worker pods'
    | 'Arguments of components'
    | 'Keys'
    | 'Logs'
    | 'Images';
  /** It may be repeated. */
  list?: boolean;
  /** Each value is KEY=VALUE. */
  map?: boolean;
  /**
   * The value names a file, whose content becomes the field; of a kubeconfig, which has keys, a name that follows from its content;
   * of manifests also a folder of them.
   */
  file?: 'yaml' | 'text' | 'manifests' | 'kubeconfig';
}

export const flag = (meta: FlagMeta) => ({ ...meta });
