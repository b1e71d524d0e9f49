// Many connections at once that stay open: `crowd` of tests/internet, which tells what became of them.

export class Crowd {
  #lines;
  #count;

  /** Opens `count` connections of TLS; `ms` then is how long it took until each had an answer. */
  static async gather(visitor, address, name, count) {
    const crowd = new Crowd();
    crowd.#count = count;
    crowd.#lines = visitor.talk("./attack", "crowd", `${address}:443`, name, String(count), "authority.pem");
    crowd.ms = await crowd.#told();
    return crowd;
  }

  async #told() {
    const { open, ms, problems } = JSON.parse(await this.#lines.next());
    if (open === this.#count) return ms;
    await this.leave();
    throw new Error(`${open} of ${this.#count} connections are open: ${problems.join("; ")}`);
  }

  /** Has each connection carry another request; all must still be there. */
  again() {
    this.#lines.say("");
    return this.#told();
  }

  leave() {
    return this.#lines.close();
  }
}
