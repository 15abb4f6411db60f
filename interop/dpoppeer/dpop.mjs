// SPDX-License-Identifier: Apache-2.0

// npm clients with DPoP, driven by the Go package in this directory.

import { createHash } from 'node:crypto';
import { serve } from '../node/serve.mjs';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const insecure = { [oauth.allowInsecureRequests]: true }; // loopback addresses

// oauth4webapi leaves it to its caller to send a request again with a nonce.
const withNonce = async (send) => {
  try {
    return await send();
  } catch (err) {
    if (!oauth.isDPoPNonceError(err)) throw err;
    return await send();
  }
};

const libraries = {
  async oauth4webapi({ algorithm, issuer, client: id, secret, resource, scope }) {
    const url = new URL(issuer);
    const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure));
    const client = { client_id: id };
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(algorithm));
    const tokens = await withNonce(async () => oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(
      as, client, oauth.ClientSecretBasic(secret), new URLSearchParams({ resource, scope }), { DPoP, ...insecure },
    )));
    return {
      tokens,
      get: (address) => withNonce(() => oauth.protectedResourceRequest(tokens.access_token, 'GET', new URL(address), undefined, undefined, { DPoP, ...insecure })),
    };
  },
  async 'openid-client'({ algorithm, issuer, client: id, secret, resource, scope }) {
    const config = await openid.discovery(new URL(issuer), id, undefined, openid.ClientSecretBasic(secret), { execute: [openid.allowInsecureRequests] });
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(algorithm));
    const tokens = await openid.clientCredentialsGrant(config, { resource, scope }, { DPoP });
    return {
      tokens,
      get: (address) => openid.fetchProtectedResource(config, tokens.access_token, new URL(address), 'GET', undefined, undefined, { DPoP }),
    };
  },
};

const sessions = [];

await serve({
  async login(request) {
    const session = await libraries[request.library](request);
    sessions.push(session);
    return { id: sessions.length - 1, token: session.tokens.access_token, type: session.tokens.token_type };
  },
  async get({ id, url }) {
    let response;
    try {
      response = await sessions[id].get(url);
    } catch (err) {
      response = err?.response ?? err?.cause?.response;
      if (!response) throw err;
    }
    return { status: response.status, body: response.bodyUsed ? '' : await response.text() };
  },
  async verify({ proof, url, token, algorithms }) {
    try {
      const { payload, protectedHeader } = await jose.jwtVerify(proof, jose.EmbeddedJWK, {
        typ: 'dpop+jwt', algorithms, maxTokenAge: 60, clockTolerance: 10,
      });
      const target = new URL(payload.htu);
      target.hash = target.search = '';
      const checks = {
        htm: payload.htm === 'GET',
        htu: target.href === new URL(url).href,
        jti: typeof payload.jti === 'string' && payload.jti !== '',
        ath: payload.ath === createHash('sha256').update(token).digest('base64url'),
        private: !('d' in protectedHeader.jwk),
      };
      return { refused: Object.keys(checks).filter((name) => !checks[name]).join(' ') };
    } catch (err) {
      return { refused: String(err.code || err.name) };
    }
  },
});
