// An HTTP proxy that knows only the names of this server: what is sent to them arrives here, the rest is refused.
import { createServer } from "node:http";
import { sendError } from "../http.mjs";

/**
 * @param {{hosts: string[], accept: (socket: import("node:net").Socket) => void, counters: object, recorder: object}} parts
 *   accept: takes over a connection that asked for one of the names at port 443
 */
export function createProxy({ hosts, accept, counters, recorder }) {
  const open = new Set();
  const server = createServer((request, response) => sendError(response, 403, `${request.url} is not imitated`));
  server.on("connect", (request, socket, head) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    // A client that leaves early is no fault of the server's.
    socket.on("error", () => socket.destroy());
    const isKnown = hosts.some((host) => request.url === `${host}:443`);
    counters.count(isKnown ? "tunnels" : "refusedTunnels");
    if (!isKnown) {
      recorder.note({ at: new Date().toISOString(), method: "CONNECT", host: request.url, endpoint: "tunnel", status: 403 });
      return socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.length > 0) socket.unshift(head);
    return accept(socket);
  });
  const close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
      // Tunnels are no longer the HTTP server's own.
      for (const socket of open) socket.destroy();
    });
  return { server, close };
}
