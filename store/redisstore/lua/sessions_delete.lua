-- SPDX-License-Identifier: Apache-2.0

remove(ARGV[1])
return { 'ok' }
