import { SCALAR_STYLE_DOUBLE_QUOTED } from 'js-yaml';
import { field, type Node, nameOf, root, scalar, setField, write } from './tree.ts';
import { changeFile } from './write.ts';

/**
 * Writes tokens that an issuer gave into a user's auth-provider, and leaves all else in the file as it is: an issuer may take
 * each refresh token only once.
 *
 * @throws Error when the file is locked, cannot be written or has changed its shape
 */
export async function keepTokens(
  file: string,
  user: string,
  tokens: { idToken: string; refreshToken: string },
): Promise<void> {
  await changeFile(file, (before) => {
    const tree = root(before ?? '');
    const users = tree && field(tree, 'users')?.value;
    const entry = users?.kind === 'sequence' ? users.items.find((item) => nameOf(item) === user) : undefined;
    let node = entry;
    for (const key of ['user', 'auth-provider', 'config'])
      node = node?.kind === 'mapping' ? field(node, key)?.value : undefined;
    if (!tree || node?.kind !== 'mapping')
      throw new Error(`${file} has no user "${user}" with an auth-provider any more`);
    setField(node, 'id-token', quoted(tokens.idToken));
    setField(node, 'refresh-token', quoted(tokens.refreshToken));
    return write(tree, file);
  });
}

/** A token may look like a number. */
function quoted(token: string): Node {
  return { ...scalar(token), style: SCALAR_STYLE_DOUBLE_QUOTED } as Node;
}
