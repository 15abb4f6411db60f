// SPDX-License-Identifier: Apache-2.0

// Package model decides which models a caller of an LLM API may use, and reads the
// requests of such an API.
//
//   - A [Catalogue] assigns each model to a tier. The caller needs the scope
//     "model:TIER" for the models of a tier. Names are compared byte for byte; there
//     are no patterns. A name that is neither a model nor an alias is refused.
//   - [Catalogue.Require] is a middleware that reads the name of the model from the
//     JSON body, the path or a header, refuses a model that the caller may not use, and
//     puts the [Call] into the context. [FromContext] returns it.
//   - A [Call] is a parsed request of the OpenAI API (chat completions, responses,
//     embeddings) or of the Anthropic API (messages). It has an upper bound of the
//     tokens of the input, the output limits and the number of choices.
//     [Call.Rewrite] changes single members of the body and keeps every other byte.
//
// Use [Call].Model for budgets, for prices and for the upstream. [Call].Name is the name
// that the client sent.
//
// A request may be answered by several models if the first one fails.
// [Catalogue.Fallbacks] checks each of them against the caller again.
//
// # The input bound
//
// The bound is the number of bytes of all text that the model reads, as UTF-8, plus 16
// tokens for each message, plus the tool overhead of the model if the request has tools.
// A byte-level tokenizer creates at most one token for each byte. Content whose size the
// body does not show is refused with 403: images, audio, files, tools that the upstream
// itself runs, and references to content that the upstream stores.
package model
