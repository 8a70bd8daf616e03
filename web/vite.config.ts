import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The console is served under /_/console/ and embedded in the binary from dist/app.
export default defineConfig({
  base: "/_/console/",
  plugins: [react()],
  build: { outDir: "dist/app", emptyOutDir: true, sourcemap: false },
});
