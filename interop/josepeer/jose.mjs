// SPDX-License-Identifier: Apache-2.0

// npm jose, driven by the Go package in this directory.

import { serve } from '../node/serve.mjs';
import * as jose from 'jose';

const keys = new Map(); // by kid
const encode = (text) => new TextEncoder().encode(text);
// Claims that are nested too deeply to be written become null.
const write = (claims) => {
  try {
    return JSON.stringify(claims);
  } catch (err) {
    if (err instanceof RangeError) return 'null';
    throw err;
  }
};
const bytes = (base64) => Uint8Array.from(Buffer.from(base64, 'base64'));

await serve({
  // Makes a key pair and tells the public half as a JWK.
  async generate({ kid, alg }) {
    const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true });
    keys.set(kid, { alg, key: privateKey });
    return { jwk: { ...await jose.exportJWK(publicKey), kid, alg, use: 'sig' } };
  },
  // Takes a shared secret for HS256, HS384 or HS512.
  secret({ kid, alg, secret }) {
    keys.set(kid, { alg, key: bytes(secret) });
  },
  // Signs claims, given as JSON text so that they arrive as they are.
  async sign({ kid, typ, claims }) {
    const { alg, key } = keys.get(kid);
    return {
      token: await new jose.CompactSign(encode(claims)).setProtectedHeader({ alg, kid, typ }).sign(key),
    };
  },
  // Says what jose makes of a token, with the same demands as a resource server.
  async verify({ token, jwks, kid, issuer, audience, algorithms, typ, skew }) {
    try {
      const key = kid ? keys.get(kid).key : jose.createLocalJWKSet(jwks);
      const { payload } = await jose.jwtVerify(token, key, {
        issuer, audience, algorithms, typ, clockTolerance: skew, requiredClaims: ['exp'],
      });
      return { claims: write(payload) };
    } catch (err) {
      if (err instanceof jose.errors.JOSEError || err instanceof TypeError) {
        return { refused: err.code ?? err.name };
      }
      throw err;
    }
  },
});
