/**
 * An identity provider whose tokens are trusted, with its keys.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { type DecryptionKey, readDecryptionKey } from "./decryption.ts";
import { type Introspection, openIntrospection } from "./introspection.ts";
import { type KeyDependencies, type KeySource, openKeySource } from "./keys.ts";

export type Issuer = {
  readonly config: IssuerConfig;
  readonly keys: KeySource;
  /** There exactly where the configuration has a `decryptionKey`. */
  readonly decryption?: DecryptionKey;
  /** There exactly where the configuration has an `introspection`. */
  readonly introspection?: Introspection;
  /** Ends the fetching; keys at hand stay usable until they age. */
  close(): void;
};

/**
 * Opens at once; keys come in the background, and until they are there tokens of this issuer
 * wait a little or get `keys_unavailable`.
 *
 * @throws GateError `config_invalid` for a `decryptionKey` that is none.
 */
export function openIssuer(config: IssuerConfig, dependencies: KeyDependencies): Issuer {
  const decryption =
    config.decryptionKey === undefined ? undefined : readDecryptionKey(config.decryptionKey);
  const keys = openKeySource(config, dependencies);
  const { introspection: asked } = config;
  const introspection =
    asked &&
    openIntrospection({ ...config, introspection: asked }, { ...dependencies, keys, decryption });
  return {
    config,
    keys,
    ...(decryption && { decryption }),
    ...(introspection && { introspection }),
    close: () => keys.close(),
  };
}
