/** The `iss` of tokens that `claimgate token` prints; a URN, so that no server can be mistaken for it. */
export const DEVELOPMENT_ISSUER = "urn:claimgate:development";
