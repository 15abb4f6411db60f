// SPDX-License-Identifier: Apache-2.0

// Package llm tests examples/llmgateway with the official clients of LLM APIs. They take
// minutes to compile, so that this is a module outside of go.work.
package llm
