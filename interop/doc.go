// SPDX-License-Identifier: Apache-2.0

// Package interop tests Gatehouse against implementations that share no code with
// it.
//
//   - provider runs npm oidc-provider, a certified authorization server. Its
//     tokens are accepted, also after a rotation of its keys, and rejected with
//     any bit, claim or header parameter changed. Packages signin and oauth sign
//     in there, and refresh, revoke and introspect its tokens.
//   - The provider binds tokens to keys and certificates. They are accepted with these,
//     and rejected with others, without, replayed at any of two nodes that share
//     Postgres or Redis, and for another URL. dpoppeer runs npm clients with DPoP.
//   - browser drives Chromium: people use examples/signin, examples/spa,
//     examples/native and examples/keyserver, while pages of other sites, other
//     tabs and forged callbacks attack them. No script can read a token.
//   - Two processes of examples/signin share Postgres or Redis: fifty requests
//     make one refresh, and a process is killed during one.
//   - josepeer runs npm jose: each verifies what the other signs, and jwtauth
//     accepts nothing that jose rejects.
//   - The fuzz targets do the same with go-jose.
//   - node runs scripts of Node for Go tests.
//
// The npm packages are those of the lockfile: run npm ci in this directory once.
// Without Node, the packages or Chromium the tests skip with a line that says so;
// with GATEHOUSE_REQUIRE_ENGINES=1 they fail. Tests with a provider of their own and the
// suites of the apps are slow and run with GATEHOUSE_SLOW=1; with -artifacts they keep
// pictures of the pages.
package interop
