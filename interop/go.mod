module github.com/gatehouse-go/gatehouse/interop

go 1.26.0

require github.com/gatehouse-go/gatehouse v0.0.0-00010101000000-000000000000

replace github.com/gatehouse-go/gatehouse => ../
