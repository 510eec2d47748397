"""From frame to face and back: landmarks, tracking, alignment, compositing."""
