import { useState, type FormEvent } from "react";
import { describe, session } from "./client";

export function Login({ failure, done }: { failure: string; done: () => void }) {
  const [accessKey, setAccessKey] = useState("");
  const [secretKey, setSecretKey] = useState("");
  const [error, setError] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setError("");
    session.login({ accessKey, secretKey, cookie: true }).then(done, (e: unknown) => setError(describe(e)));
  };
  return (
    <form className="login" onSubmit={submit}>
      <h1>Tarn</h1>
      <p>Log in with an access key. The first one stands in the file credentials of the server's data folder.</p>
      <label>
        Access key
        <input name="access-key" autoComplete="username" autoFocus value={accessKey} onChange={(e) => setAccessKey(e.target.value)} />
      </label>
      <label>
        Secret key
        <input name="secret-key" type="password" autoComplete="current-password" value={secretKey} onChange={(e) => setSecretKey(e.target.value)} />
      </label>
      <button type="submit" disabled={accessKey === "" || secretKey === ""}>
        Log in
      </button>
      {(error || failure) && (
        <p className="error" role="alert">
          {error || failure}
        </p>
      )}
    </form>
  );
}
