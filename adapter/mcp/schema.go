// SPDX-License-Identifier: Apache-2.0

package mcp

import "github.com/google/jsonschema-go/jsonschema"

func schemaOf[In any](name string) *jsonschema.Schema {
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		panic("mcp: AddTool: " + name + ": " + err.Error())
	}
	return schema
}
