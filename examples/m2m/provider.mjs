// SPDX-License-Identifier: Apache-2.0

// The authorization server of the story: npm oidc-provider, certified by the OpenID
// Foundation. It reads its configuration as one line of JSON from standard input,
// answers with its issuer, and ends with its input.

import { once } from 'node:events';
import { createServer } from 'node:https';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Provider, errors } from 'oidc-provider';

console.info = console.warn = console.error; // standard output is for the answer

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, 'line');
lines.once('close', () => process.exit(0));
const { ca, cert, key, resource, scope, san, clients, jwks } = JSON.parse(line);

const es256 = { token_endpoint_auth_signing_alg: 'ES256', id_token_signed_response_alg: 'ES256' };
const machine = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'], scope };
const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `https://localhost:${server.address().port}`;

// A verified certificate is one of this CA: tls_client_auth, RFC 8705 section 2.1.
const verified = (ctx) => ctx.socket.authorized && ctx.socket.getPeerX509Certificate();

const provider = new Provider(issuer, {
  clients: [
    {
      ...machine, client_id: clients.mtls, token_endpoint_auth_method: 'tls_client_auth', id_token_signed_response_alg: 'ES256',
      tls_client_auth_san_uri: san, tls_client_certificate_bound_access_tokens: true,
    },
    { ...machine, ...es256, client_id: clients.dpop, token_endpoint_auth_method: 'private_key_jwt', jwks, dpop_bound_access_tokens: true },
  ],
  clientAuthMethods: ['private_key_jwt', 'tls_client_auth'],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'PS256'], dPoPSigningAlgValues: ['ES256', 'PS256'], idTokenSigningAlgValues: ['ES256'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
      certificateAuthorized: (ctx) => Boolean(verified(ctx)),
      certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_uri' &&
        verified(ctx)?.subjectAltName === `URI:${expected}`,
    },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(ctx, uri) {
        if (uri !== resource) throw new errors.InvalidTarget();
        return { audience: uri, scope, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } } };
      },
    },
  },
  jwks: { keys: [{ ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  scopes: scope.split(' '),
});
server.on('request', provider.callback());
process.stdout.write(JSON.stringify({ issuer }) + '\n');
