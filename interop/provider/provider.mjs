// SPDX-License-Identifier: Apache-2.0

// npm oidc-provider, driven by the Go package in this directory.

import { serve } from '../node/serve.mjs';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { Provider, errors } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const makeKey = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

// One key for each algorithm; a new generation gets new ones.
const generation = () => Object.entries(makeKey).map(([alg, make]) => ({
  ...make().privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig',
}));

// A rotation keeps the state, the cookie keys and the nonce secret.
const adapter = createMemoryAdapter();
const cookieKeys = [randomBytes(32).toString('hex')];
const nonceSecret = randomBytes(32);

let options;
let issuer;
let handler;
let keys = []; // the newest generation first: the first key that fits signs
const issued = []; // every token of the token endpoint
const refreshes = { good: 0, refused: 0 };
const isRefresh = (ctx) => ctx.oidc.params?.grant_type === 'refresh_token';

// The claims of access tokens of products that do not follow RFC 9068. The provider
// insists on an aud, and Cognito sends none: JSON leaves this one out.
const nothing = { toJSON: () => undefined };
const shapes = {
  keycloak: ({ client_id: azp, ...claims }) => ({ ...claims, azp, typ: 'Bearer', realm_access: { roles: ['admin'] } }),
  cognito: (claims) => ({ ...claims, aud: nothing, token_use: 'access', version: 2, 'cognito:groups': ['admins'] }),
};

// Client authentication by certificate, RFC 8705: by one of the CA, or one that is
// registered with the client. The handshake accepts all of them.
const certificateOf = (ctx) => ctx.socket.getPeerX509Certificate();
const mTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: certificateOf,
  certificateAuthorized: (ctx) => ctx.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_uri' &&
    certificateOf(ctx).subjectAltName === `URI:${expected}`,
};
const plainAuthMethods = ['client_secret_basic', 'client_secret_jwt', 'client_secret_post', 'private_key_jwt', 'none'];

// A provider cannot change its keys, so a rotation makes a new one with the same
// issuer and state.
function replace(next) {
  keys = next;
  const provider = new Provider(issuer, {
    adapter,
    clients: options.clients,
    jwks: { keys },
    cookies: { keys: cookieKeys },
    scopes: options.scopes,
    claims: { openid: ['sub', ...Object.values(options.claims ?? {}).flatMap(Object.keys)], email: ['email'] }, // what userinfo says
    responseTypes: ['code'],
    clientAuthMethods: options.tls ? [...plainAuthMethods, 'tls_client_auth', 'self_signed_tls_client_auth'] : plainAuthMethods,
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'PS256', 'Ed25519', 'EdDSA'] },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { AccessToken: (ctx, token) => token.resourceServer?.accessTokenTTL ?? (isRefresh(ctx) ? 3600 : options.ttl) },
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    conformIdTokenClaims: false,
    formats: {
      customizers: {
        jwt(ctx, token, parts) {
          const shape = shapes[options.resources.find((r) => r.uri === token.aud)?.shape];
          Object.assign(parts.payload, options.claims?.[token.accountId], options.claims?.[token.clientId]);
          if (shape) Object.assign(parts, { header: { typ: 'JWT' }, payload: shape(parts.payload) });
        },
      },
    },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, ...options.claims?.[id] }) }),
    // The provider does not send to loopback addresses, where the tests listen
    // for back-channel logout.
    fetch: (url, { dispatcher, ...rest }) => fetch(url, rest),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientAuthMethod !== 'none' },
      revocation: { enabled: true },
      deviceFlow: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        // The page of its own asks a host on the internet for a font.
        logoutSource(ctx, form) {
          ctx.body = `<!DOCTYPE html>${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Yes</button>`;
        },
      },
      backchannelLogout: { enabled: true },
      ...(options.tls ? { mTLS } : {}),
      dPoP: { enabled: true, nonceSecret, requireNonce: () => options.dpopNonce },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(ctx, uri) {
          const resource = options.resources.find((r) => r.uri === uri);
          if (!resource) throw new errors.InvalidTarget();
          return {
            audience: uri,
            scope: resource.scope,
            accessTokenTTL: resource.ttl,
            ...(resource.algorithm
              ? { accessTokenFormat: 'jwt', jwt: { sign: { alg: resource.algorithm } } }
              : { accessTokenFormat: 'opaque' }),
          };
        },
      },
    },
  });
  provider.on('grant.success', (ctx) => {
    issued.push(...[ctx.body.access_token, ctx.body.refresh_token, ctx.body.id_token].filter(Boolean));
    if (isRefresh(ctx)) refreshes.good++;
  });
  provider.on('grant.error', (ctx) => { if (isRefresh(ctx)) refreshes.refused++; });
  provider.use(async (ctx, next) => {
    await next();
    if (options.endSession && ctx.path === '/.well-known/openid-configuration') ctx.body.end_session_endpoint = options.endSession;
    if (options.refreshDelay && ctx.oidc && isRefresh(ctx)) await new Promise((done) => { setTimeout(done, options.refreshDelay); });
  });
  handler = provider.callback();
  return { keys: keys.map(({ kid, alg }) => ({ kid, alg })) };
}

await serve({
  async start(request) {
    options = request;
    const answer = (req, res) => handler(req, res);
    const server = options.tls
      ? createSecureServer({ ...options.tls, requestCert: true, rejectUnauthorized: false }, answer)
      : createServer(answer);
    server.keepAliveTimeout = 0; // or a POST may meet a connection that is just being closed
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    issuer = `${options.tls ? 'https' : 'http'}://${options.host}:${server.address().port}`;
    return { issuer, ...replace(generation()) };
  },
  // New keys sign; the old ones stay published.
  rotate: () => replace([...generation(), ...keys]),
  refreshes: () => refreshes,
  // The tokens, so that a test finds where they have leaked to.
  issued: () => ({ tokens: issued }),
  // Only the newest keys stay published.
  withdraw: () => replace(keys.slice(0, Object.keys(makeKey).length)),
});
