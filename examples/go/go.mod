module watch

go 1.18

require (
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240318140521-94a12d6c2237
	google.golang.org/grpc v1.65.0
	presence.relay/api v0.1.0
)

// The release package presence-api-go, unpacked beside this folder.
replace presence.relay/api => ../presence-api-go
