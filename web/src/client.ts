import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { AdminService, SessionService } from "./gen/tarn/v1/admin_pb";
import { DurabilityService } from "./gen/tarn/v1/durability_pb";
import { ObjectService } from "./gen/tarn/v1/object_pb";
import { VectorService } from "./gen/tarn/v1/vector_pb";

// The session is an HttpOnly cookie; the header proves that this page, and not
// another origin's, makes the call.
const transport = createConnectTransport({
  baseUrl: window.location.origin,
  useBinaryFormat: true,
  interceptors: [
    (next) => (request) => {
      request.header.set("X-Tarn-Console", "1");
      return next(request);
    },
  ],
});

export const session = createClient(SessionService, transport);
export const objects = createClient(ObjectService, transport);
export const vectors = createClient(VectorService, transport);
export const durability = createClient(DurabilityService, transport);
export const admin = createClient(AdminService, transport);

/** Whether an error means that nobody is logged in. */
export function loggedOut(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unauthenticated;
}

/** An error's one line for a person. */
export function describe(error: unknown): string {
  return ConnectError.from(error).rawMessage;
}
