import asn1 from 'node-forge/lib/asn1.js';

/** A node of forge's ASN.1 tree; its `value` is a string with one byte a character, or its children. */
export type Asn1 = ReturnType<typeof asn1.create>;

const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const { Type } = asn1;

export const sequence = (...items: Asn1[]): Asn1 => asn1.create(UNIVERSAL, Type.SEQUENCE, true, items);
export const set = (...items: Asn1[]): Asn1 => asn1.create(UNIVERSAL, Type.SET, true, items);
export const objectId = (oid: string): Asn1 => asn1.create(UNIVERSAL, Type.OID, false, asn1.oidToDer(oid).getBytes());
export const boolean = (value: boolean): Asn1 => asn1.create(UNIVERSAL, Type.BOOLEAN, false, value ? '\xff' : '\x00');
export const nothing = (): Asn1 => asn1.create(UNIVERSAL, Type.NULL, false, '');
/** `bytes` in two's complement, as short as can be: DER allows no other form. */
export const integer = (bytes: Uint8Array): Asn1 => asn1.create(UNIVERSAL, Type.INTEGER, false, byteString(bytes));
export const octets = (bytes: Uint8Array): Asn1 => asn1.create(UNIVERSAL, Type.OCTETSTRING, false, byteString(bytes));
export const bits = (bytes: Uint8Array, unusedBits = 0): Asn1 =>
  asn1.create(UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unusedBits) + byteString(bytes));
/** UTF8String, never PrintableString: names hold `:`, `@` and `_`, which Go refuses in the latter. */
export const utf8 = (text: string): Asn1 =>
  asn1.create(UNIVERSAL, Type.UTF8, false, byteString(Buffer.from(text, 'utf8')));

/** A context-specific tag `[number]` around children (explicit) or over bytes (implicit). */
export function tagged(number: number, content: Asn1[] | Uint8Array): Asn1 {
  return Array.isArray(content)
    ? asn1.create(CONTEXT_SPECIFIC, number, true, content)
    : asn1.create(CONTEXT_SPECIFIC, number, false, byteString(content));
}

/** UTCTime up to 2049 and GeneralizedTime after it (RFC 5280, 4.1.2.5). Whole seconds; the rest is cut off. */
export function time(date: Date): Asn1 {
  return date.getUTCFullYear() < 2050
    ? asn1.create(UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

export function toDer(node: Asn1): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

export function fromDer(der: Uint8Array): Asn1 {
  return asn1.fromDer(byteString(der), { strict: true, parseAllBytes: true, decodeBitStrings: false });
}

/** The children of a constructed node; none for a primitive one. */
export function children(node: Asn1 | undefined): Asn1[] {
  return Array.isArray(node?.value) ? node.value : [];
}

/** The content bytes of a primitive node. */
export function content(node: Asn1 | undefined): Buffer {
  return Buffer.from(typeof node?.value === 'string' ? node.value : '', 'latin1');
}

export function isContextSpecific(node: Asn1): boolean {
  return node.tagClass === CONTEXT_SPECIFIC;
}

/** Whether a node is a UTF8String or a PrintableString: the other kinds of strings have alphabets of their own. */
export function isText(node: Asn1): boolean {
  return node.type === Type.UTF8 || node.type === Type.PRINTABLESTRING;
}

/** The object identifier in a node, as `2.5.4.3`; empty where there is none. */
export function idOf(node: Asn1 | undefined): string {
  return node && content(node).length > 0 ? asn1.derToOid(content(node).toString('latin1')) : '';
}

function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
