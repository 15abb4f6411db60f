// SPDX-License-Identifier: Apache-2.0

// Package useragent gives browsers names by which people recognise them in a
// list of sessions.
package useragent

import "strings"

// Name returns such as "Firefox on Linux". All words are ours: of the header,
// which anybody can write, there is nothing in it.
func Name(header string) string {
	// Most browsers say that they are some others too, so the order matters.
	browser := first(header,
		"Edg/", "Edge", "OPR/", "Opera", "SamsungBrowser/", "Samsung Internet", "Firefox/", "Firefox", "FxiOS/", "Firefox",
		"CriOS/", "Chrome", "Chrome/", "Chrome", "Chromium/", "Chromium", "Safari/", "Safari",
	)
	system := first(header,
		"Windows", "Windows", "Android", "Android", "iPhone", "iOS", "iPad", "iPadOS", "Mac OS X", "macOS",
		"CrOS", "ChromeOS", "Linux", "Linux",
	)
	switch {
	case browser == "" && system == "":
		return "Unknown browser"
	case browser == "":
		return "A browser on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// first returns the name of the first of the words that the header has in it.
func first(header string, words ...string) string {
	for i := 0; i+1 < len(words); i += 2 {
		if strings.Contains(header, words[i]) {
			return words[i+1]
		}
	}
	return ""
}
