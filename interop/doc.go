// SPDX-License-Identifier: Apache-2.0

// Package interop proves Gatehouse against the outside world: its tests run it
// beside implementations that share no code with it.
//
//   - provider runs npm oidc-provider, a certified authorization server: its
//     tokens get in, rotate with its keys, and get in no more once they are
//     changed by a bit, a claim or a header parameter. The client of package
//     oauth signs people in there, and refreshes, revokes and introspects.
//   - browser drives Chromium: people sign in at examples/signin, examples/spa and
//     examples/native, work and sign out, and the pages of others, other tabs and
//     forged callbacks try to make use of that. No script sees a token.
//   - Two processes of examples/signin share Postgres or Redis: fifty requests
//     make one refresh, and a process is killed in the middle of one.
//   - josepeer runs npm jose: what one signs the other verifies, and what jose
//     refuses jwtauth never accepts.
//   - The fuzz targets do the same with go-jose for tokens that nobody thought
//     of.
//   - node is how a Go test drives a script of Node.
//
// The npm packages are those of the committed lockfile: run npm ci in this
// directory once. Without Node, without them, or without Chromium the tests skip
// with a line that says so; with GATEHOUSE_REQUIRE_ENGINES=1 in the environment
// they fail. With -artifacts the tests of the apps keep pictures of the pages.
package interop
