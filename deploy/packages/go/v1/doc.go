// Package presencev1 is the API of the Teams presence relay for phone suites. `go generate ./...` in the module's folder makes its code
// from the protos, by protoc, protoc-gen-go and protoc-gen-go-grpc; `go mod tidy` then notes what it needs.
package presencev1

//go:generate sh -c "protoc -I../protos --go_out=.. --go-grpc_out=.. --go_opt=module=presence.relay/api --go-grpc_opt=module=presence.relay/api ../protos/relay/api/presence/v1/*.proto"
