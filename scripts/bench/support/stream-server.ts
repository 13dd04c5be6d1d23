/** `bun stream-server.ts`: a server for benches that sends as many bytes as it is asked for, and takes as many as come. Prints its port. */
const block = new Uint8Array(1 << 20);
const server = Bun.listen<{ left: number; asked: string; taken: number }>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (socket) => void (socket.data = { left: 0, asked: "", taken: 0 }),
    data(socket, bytes) {
      const { data } = socket;
      if (!data.asked.includes("\r\n\r\n")) {
        data.asked += Buffer.from(bytes).toString("latin1");
        const end = data.asked.indexOf("\r\n\r\n");
        if (end < 0) return;
        data.taken = data.asked.length - end - 4;
        data.left = Number(/^GET \/(\d+)/.exec(data.asked)?.[1] ?? 0);
        if (data.left > 0) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${data.left}\r\nConnection: close\r\n\r\n`);
        send(socket);
      } else data.taken += bytes.length;
      const wanted = Number(/content-length: (\d+)/i.exec(data.asked)?.[1] ?? -1);
      if (data.taken === wanted) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    },
    drain: send,
  },
});

function send(socket: Bun.Socket<{ left: number; asked: string; taken: number }>): void {
  const { data } = socket;
  if (data.left === 0) return;
  while (data.left > 0) {
    const part = block.subarray(0, Math.min(data.left, block.length));
    const sent = Math.max(0, socket.write(part));
    data.left -= sent;
    if (sent < part.length) return;
  }
  socket.end();
}

console.log(server.port);
