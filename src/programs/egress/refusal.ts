/** Why a connection is not made. The API server shows the words to whoever asked it for the connection. */
export class Refusal extends Error {
  /** 403 not allowed, 404 gone, 502 the other side, 503 this side, 504 too slow. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
