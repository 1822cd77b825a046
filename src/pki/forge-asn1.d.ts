// node-forge publishes its parts as separate files, @types/node-forge describes only the whole, which takes far
// longer to load.
declare module 'node-forge/lib/asn1.js' {
  import type { asn1 as forgeAsn1 } from 'node-forge';

  const asn1: Omit<typeof forgeAsn1, 'fromDer'> & {
    /** Without `decodeBitStrings: false` forge guesses whether a bit string holds ASN.1 of its own. */
    fromDer(
      bytes: string,
      options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
    ): forgeAsn1.Asn1;
  };
  export default asn1;
}
