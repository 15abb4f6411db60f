// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/gatehouse-go/gatehouse/examples/internal/clientconfig"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
)

// config is the configuration file.
type config struct {
	clientconfig.File
}

func loadConfig(path string) (*config, error) {
	var c config
	if err := configfile.Read(path, &c); err != nil {
		return nil, err
	}
	return &c, nil
}
